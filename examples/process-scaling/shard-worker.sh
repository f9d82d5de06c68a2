#!/bin/sh
# An instance that takes its own shard by its number.
case $1 in
  1) shard=shard-a ;;
  2) shard=shard-b ;;
  3) shard=shard-c ;;
esac
echo "instance $1 works on $shard"
exec sleep 1000
