"""simpleobsws as it is, against a running server: `python simple.py ADDRESS PASSWORD`. Fails with the first thing that is not
as its users expect."""

import asyncio, sys

import simpleobsws

ADDRESS, PASSWORD = sys.argv[1:3]


async def main():
    client = simpleobsws.WebSocketClient(url=ADDRESS, password=PASSWORD)
    shown, snapshots = asyncio.Event(), []

    async def on_shown(data):
        assert data["airing"]["cardId"] == "mug", data
        shown.set()

    async def on_any(name, data):
        if name == "StateSnapshot":
            snapshots.append(data)

    client.register_event_callback(on_shown, "CardShown")
    client.register_event_callback(on_any)
    await client.connect()
    assert await client.wait_until_identified(), "it is not let in"

    async def ask(name, data=None):
        return await client.call(simpleobsws.Request(name, data))

    version = await ask("GetVersion")
    assert version.ok() and "ShowCard" in version.responseData["availableRequests"], version
    assert (await ask("PutProduct", {"sku": "mug", "title": "Mug 马克杯", "priceMinor": 1990, "currency": "EUR"})).ok()
    assert (await ask("PutCard", {"id": "mug", "sku": "mug"})).ok()
    assert (await ask("ShowCard", {"cardId": "mug"})).ok()
    await asyncio.wait_for(shown.wait(), 20)
    assert snapshots and "products" in snapshots[0]
    refused = await ask("ShowCard", {})
    assert not refused.ok() and refused.requestStatus.code == 300 and "cardId" in refused.requestStatus.comment, refused
    batch = await client.call_batch([simpleobsws.Request("HideCard", {"cardId": "mug"}), simpleobsws.Request("Dance")])
    assert [one.requestStatus.code for one in batch] == [100, 204], batch
    await client.disconnect()

    stranger = simpleobsws.WebSocketClient(url=ADDRESS, password=PASSWORD + "!")
    await stranger.connect()
    assert not await stranger.wait_until_identified(timeout=5), "a wrong password lets in"
    await stranger.disconnect()


asyncio.run(main())
