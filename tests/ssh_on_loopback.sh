#!/usr/bin/env bash
# Runs a command where it can start and stop clusters over ssh without touching anything else: in mount, process and network
# namespaces of its own, with an ssh server on 127.0.0.1 and a home folder of its own. Needs root, sshd and rsync.
#
#   unshare --mount --pid --fork --net --mount-proc ssh_on_loopback.sh FOLDER PYTHON COMMAND...
#
# FOLDER becomes the home folder of root; PYTHON is the interpreter whose packages the environment ~/archsearch-env offers,
# all but archsearch.
set -euo pipefail
folder=$1 python=$2
shift 2

ip link set lo up
mkdir -p "$folder/.ssh" "$folder/etc" /tmp/ray /run/sshd
mount -t tmpfs tmpfs /tmp/ray                       # Ray's notes of running clusters
echo "127.0.0.1 localhost $(hostname)" > "$folder/etc/hosts"
sed "s#^root:.*#root:x:0:0:root:$folder:/bin/bash#" /etc/passwd > "$folder/etc/passwd"
mount --bind "$folder/etc/hosts" /etc/hosts
mount --bind "$folder/etc/passwd" /etc/passwd
export HOME=$folder
cd "$folder"

# The interpreter's own packages through a folder of links, so that nothing here can change them.
site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
base=$("$python" -c 'import sys; print(sys.base_prefix)')
mkdir -p "$folder/site"
find "$site" -mindepth 1 -maxdepth 1 ! -iname '*archsearch*' ! -name '*.pth' -exec ln -s -t "$folder/site" {} +
"$base/bin/python3" -m venv "$folder/archsearch-env"
"$folder/archsearch-env/bin/python" -m pip uninstall --quiet --yes setuptools  # an old one would hide that of the packages
echo "$folder/site" > "$folder/archsearch-env/lib/$(basename "$(dirname "$site")")/site-packages/offered.pth"
printf '#!%s\nimport sys\nfrom ray.scripts.scripts import main\nsys.exit(main())\n' "$folder/archsearch-env/bin/python" \
    > "$folder/archsearch-env/bin/ray"
chmod +x "$folder/archsearch-env/bin/ray"
echo "export PATH=$folder/archsearch-env/bin:$base/bin:\$PATH" > "$folder/.bashrc"
export PATH="$folder/archsearch-env/bin:$base/bin:$PATH"

ssh-keygen -q -t ed25519 -N '' -f "$folder/.ssh/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$folder/.ssh/id_ed25519"
cp "$folder/.ssh/id_ed25519.pub" "$folder/.ssh/authorized_keys"
chmod 700 "$folder/.ssh"
cat > "$folder/etc/sshd_config" <<CONFIG
ListenAddress 127.0.0.1:22
HostKey $folder/.ssh/host_key
AuthorizedKeysFile $folder/.ssh/authorized_keys
PasswordAuthentication no
StrictModes no
UsePAM no
PidFile none
CONFIG
"$(command -v sshd)" -f "$folder/etc/sshd_config"

"$@"
