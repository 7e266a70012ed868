#!/bin/sh
# Measures the tables of "Against plain loops" in speed.md and prints them as Markdown; some ten minutes on two quiet cores.
#   sh docs/measure_speed.sh > tables.md
# Further words go to every command, such as --backend torch, --device cuda or --draws device.
# GANSPEC names the program; without it, the one that tools/install put into .venv of this checkout, else ganspec on the PATH.
set -e
case ${1:-} in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
installed=$(dirname "$0")/../.venv/bin/ganspec
[ -n "${GANSPEC:-}" ] || { [ -x "$installed" ] && GANSPEC=$installed; } || GANSPEC=ganspec
command -v "$GANSPEC" > /dev/null || { echo "$0: no program '$GANSPEC': run tools/install, or name one in GANSPEC" >&2; exit 2; }
# The systems on digits, at their sources' batches.
"$GANSPEC" bench --seconds 3 --markdown "$@"
echo
# Those on CIFAR-10 in batches of 8, one of each loop; the others differ in the loss alone.
"$GANSPEC" bench dcgan_cifar10 minibatch_cifar10 lsgan_cifar10 sndcgan_cifar10 dfm_cifar10 began_cifar10 ac_wgan_gp_cifar10/acgan \
  dragan_cifar10 cramer_cifar10 hinge_cifar10 wgan_gp_cifar10 wgan_gp_cifar10/resnet ac_wgan_gp_cifar10 \
  --batch 8 --seconds 1 --markdown "$@"
echo
# WGAN, without the 100 critic steps of its first iterations.
"$GANSPEC" bench wgan_cifar10 --batch 8 --seconds 1 --set schedule.warmup_critic_steps=5 --markdown "$@"
echo
# The last stage of progressive growing.
"$GANSPEC" bench progressive_cifar10 --batch 8 --seconds 1 --set growth.start.stage=6 --set growth.start.fade=0.5 --markdown "$@"
echo
# The most memory of each side.
"$GANSPEC" bench wgan_gp_mlp_mnist began_mnist dcgan_cifar10 --batch 16 --memory --seconds 1 --markdown "$@"
