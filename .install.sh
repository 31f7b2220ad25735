#!/bin/sh
# Installs what is missing to build, run or test Vitrine on Debian and Ubuntu; lists it first. Quick and silent
# when nothing is missing. Usage: .install.sh build|run|test|players
set -eu

build="build-essential pkg-config clang libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libsrt-gnutls-dev"
run="gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-x fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji"
tests="gstreamer1.0-tools ffmpeg zbar-tools python3 python3-venv srt-tools iproute2 nginx-light libnginx-mod-rtmp gir1.2-gst-rtsp-server-1.0 python3-gi valgrind curl"

want="$build"
[ "$1" = build ] || want="$want $run"
if [ "$1" = players ]; then
  want="$want vlc-bin vlc-plugin-base mpv"
  set -- test players
fi
if [ "$1" = test ]; then
  want="$want $tests"
  command -v node >/dev/null 2>&1 || want="$want nodejs"
  command -v npm >/dev/null 2>&1 || want="$want npm"
  # A test authority for certificates, where it is packaged.
  apt-cache show pebble 2>/dev/null | grep -q 'ACME' && want="$want pebble"
  if ! command -v chromedriver >/dev/null 2>&1; then
    if grep -qi '^ID=ubuntu' /etc/os-release 2>/dev/null; then want="$want chromium-browser chromium-chromedriver"
    else want="$want chromium chromium-driver"; fi
  fi
fi
cargo=$(command -v cargo 2>/dev/null || true)
[ -n "$cargo" ] || { [ -x "$HOME/.cargo/bin/cargo" ] && cargo="$HOME/.cargo/bin/cargo"; } || true
[ -n "$cargo" ] || command -v curl >/dev/null 2>&1 || want="$want curl ca-certificates"

missing=""
if command -v dpkg-query >/dev/null 2>&1; then
  for package in $want; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
  done
else
  echo "This is neither Debian nor Ubuntu: install by hand what these packages hold: $want" >&2
fi

if [ -n "$missing" ]; then
  echo "Installing with apt-get:$missing"
  if [ "$(id -u)" = 0 ]; then sudo=""
  elif command -v sudo >/dev/null 2>&1; then sudo="sudo"
  else echo "Not root and no sudo. As root: apt-get install$missing" >&2; exit 1; fi
  export DEBIAN_FRONTEND=noninteractive
  $sudo apt-get update -q
  # shellcheck disable=SC2086
  $sudo apt-get install -q -y --no-install-recommends $missing
  # The tests start an nginx of their own; the package's service is nobody's wish.
  case " $missing " in *" nginx-light "*)
    if [ -d /run/systemd/system ]; then $sudo systemctl disable -q --now nginx || true; fi ;;
  esac
fi

# The oldest compiler that builds this; Debian's own is older.
if [ -z "$cargo" ]; then
  echo "Installing Rust through rustup (https://rustup.rs) into $HOME/.cargo"
  if ! curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal -c rustfmt -c clippy; then
    echo "Rust could not be fetched. Get it from https://rustup.rs (1.91 or newer) and run this again." >&2
    exit 1
  fi
  cargo="$HOME/.cargo/bin/cargo"
fi
version=$("$cargo" --version | sed 's/^cargo 1\.\([0-9]*\).*/\1/')
if [ "$version" -lt 91 ] 2>/dev/null; then
  echo "$("$cargo" --version) is too old: Rust 1.91 or newer is wanted. With rustup: rustup update stable" >&2
  exit 1
fi

if [ "$1" = test ] && [ ! tests/oracle/node_modules/.package-lock.json -nt tests/oracle/package-lock.json ]; then
  echo "Installing an outside playlist parser and an outside client with npm into tests/oracle"
  (cd tests/oracle && npm ci --no-audit --no-fund --silent)
fi
if [ "$1" = test ] && [ ! tests/oracle/venv/installed -nt tests/oracle/requirements.txt ]; then
  echo "Installing an outside tester of our API with pip into tests/oracle/venv"
  python3 -m venv tests/oracle/venv && tests/oracle/venv/bin/pip install -q --disable-pip-version-check -r tests/oracle/requirements.txt
  touch tests/oracle/venv/installed
fi
if [ "${2:-}" = players ] && [ ! -e tests/players/node_modules/.package-lock.json ]; then
  echo "Installing a player with npm into tests/players"
  (cd tests/players && npm ci --no-audit --no-fund --silent)
fi
