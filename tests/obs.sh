#!/usr/bin/env bash
# The same path once with the real OBS Studio, without a screen. Not part of `make test`: OBS with software GL wants
# two cores for itself. Tried with OBS 29.0 of Debian 12.
#
#   sudo apt-get install -y --no-install-recommends obs-studio obs-plugins xvfb libgl1-mesa-dri
#   make run                       (in another terminal; it prints the server and the key)
#   tests/obs.sh rtmp://127.0.0.1:1935/live STREAM_KEY [SECONDS]
#
# OBS streams a moving picture to the server for SECONDS (30) and its log's words on the stream are printed. Look at the
# watch page meanwhile. A wrong key must end with "Could not access the specified channel or stream key".
set -eu
server=$1 key=$2 seconds=${3:-30}
home=$(mktemp -d)
trap 'kill $screen 2>/dev/null || true; rm -rf "$home"' EXIT
config=$home/obs-studio
mkdir -p "$config/basic/profiles/Test" "$config/basic/scenes" "$home/run"
chmod 700 "$home/run"

ffmpeg -v error -f lavfi -i testsrc2=size=640x360:rate=30 -f lavfi -i sine=frequency=440:sample_rate=48000 \
  -t 20 -c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac -ac 2 "$home/media.mp4"

cat > "$config/global.ini" <<INI
[General]
FirstRun=true
EnableAutoUpdates=false
LastVersion=486539265
InfoIncrement=-1
[Basic]
Profile=Test
ProfileDir=Test
SceneCollection=Test
SceneCollectionFile=Test
[BasicWindow]
PreviewEnabled=false
WarnBeforeStartingStream=false
WarnBeforeStoppingStream=false
INI
# Simple mode and its own defaults: a key frame every 250 frames, B-frames, first timestamps that are not 0.
cat > "$config/basic/profiles/Test/basic.ini" <<INI
[General]
Name=Test
[Output]
Mode=Simple
Reconnect=true
RetryDelay=2
[SimpleOutput]
VBitrate=1500
ABitrate=128
[Video]
BaseCX=640
BaseCY=360
OutputCX=640
OutputCY=360
FPSCommon=30
[Audio]
SampleRate=48000
ChannelSetup=Stereo
INI
printf '{"settings":{"bwtest":false,"key":"%s","server":"%s","use_auth":false},"type":"rtmp_custom"}' \
  "$key" "$server" > "$config/basic/profiles/Test/service.json"
cat > "$config/basic/scenes/Test.json" <<JSON
{"name":"Test","current_scene":"Scene","current_program_scene":"Scene","scene_order":[{"name":"Scene"}],
 "transitions":[],"groups":[],"modules":{},"sources":[
 {"id":"ffmpeg_source","versioned_id":"ffmpeg_source","name":"Media","enabled":true,"volume":1.0,"mixers":255,
  "settings":{"is_local_file":true,"local_file":"$home/media.mp4","looping":true},"filters":[],"hotkeys":{}},
 {"id":"scene","versioned_id":"scene","name":"Scene","enabled":true,"volume":1.0,"mixers":255,"filters":[],"hotkeys":{},
  "settings":{"custom_size":false,"id_counter":1,"items":[{"name":"Media","id":1,"visible":true,"locked":false,
   "align":5,"rot":0.0,"pos":{"x":0.0,"y":0.0},"scale":{"x":1.0,"y":1.0}}]}}]}
JSON

display=$((90 + $$ % 400))
Xvfb ":$display" -screen 0 1280x800x24 -nolisten tcp +extension GLX > /dev/null 2>&1 &
screen=$!
for _ in $(seq 50); do [ -e "/tmp/.X11-unix/X$display" ] && break; sleep 0.1; done
XDG_CONFIG_HOME=$home XDG_RUNTIME_DIR=$home/run QT_QPA_PLATFORM=xcb LIBGL_ALWAYS_SOFTWARE=1 DISPLAY=:$display \
  timeout --signal=INT --kill-after=10 "$seconds" \
  obs --startstreaming --profile Test --collection Test --multi --minimize-to-tray --disable-updater \
  --disable-missing-files-check > "$home/log" 2>&1 || true
grep -E "Streaming St|rtmp stream|onnect|dropped|skipped|error|ould not" "$home/log" | tail -20
