// Reads playlists with hls-parser in strict mode; an error ends with the file's name and its words.
import { readFileSync } from "node:fs";
import HLS from "hls-parser";

HLS.setOptions({ strictMode: true, silent: false });
for (const file of process.argv.slice(2)) {
  try {
    const playlist = HLS.parse(readFileSync(file, "utf8"));
    if (!(playlist.isMasterPlaylist ? playlist.variants : playlist.segments).length) throw new Error("it is empty");
  } catch (error) {
    console.error(`${file}: ${error.message}\n${readFileSync(file, "utf8")}`);
    process.exitCode = 1;
  }
}
