// Reads a playlist with hls-parser in strict mode; an error ends with its words.
import { readFileSync } from "node:fs";
import HLS from "hls-parser";

HLS.setOptions({ strictMode: true, silent: false });
const playlist = HLS.parse(readFileSync(process.argv[2], "utf8"));
console.log(playlist.isMasterPlaylist ? `${playlist.variants.length} variants` : `${playlist.segments.length} segments`);
