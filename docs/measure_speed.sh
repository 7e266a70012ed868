#!/bin/sh
# Measures the tables of "Against plain loops" in speed.md and prints them as Markdown; some ten minutes on two quiet cores.
#   sh docs/measure_speed.sh > tables.md
# Further words go to every command, such as --backend torch, --device cuda or --draws device.
set -e
# The systems on digits, at their sources' batches.
ganspec bench --seconds 3 --markdown "$@"
echo
# Those on CIFAR-10 in batches of 8, one of each loop; the others differ in the loss alone.
ganspec bench dcgan_cifar10 minibatch_cifar10 lsgan_cifar10 sndcgan_cifar10 dfm_cifar10 began_cifar10 ac_wgan_gp_cifar10/acgan \
  dragan_cifar10 cramer_cifar10 hinge_cifar10 wgan_gp_cifar10 wgan_gp_cifar10/resnet ac_wgan_gp_cifar10 \
  --batch 8 --seconds 1 --markdown "$@"
echo
# WGAN, without the 100 critic steps of its first iterations.
ganspec bench wgan_cifar10 --batch 8 --seconds 1 --set schedule.warmup_critic_steps=5 --markdown "$@"
echo
# The last stage of progressive growing.
ganspec bench progressive_cifar10 --batch 8 --seconds 1 --set growth.start.stage=6 --set growth.start.fade=0.5 --markdown "$@"
echo
# The most memory of each side.
ganspec bench wgan_gp_mlp_mnist began_mnist dcgan_cifar10 --batch 16 --memory --seconds 1 --markdown "$@"
