/**
 * A POSIX shell program for process 1 of a container: starts its arguments as a child, passes
 * signals on, reaps whatever the kernel hands it (a shell's wait does, Node.js doesn't), and ends
 * with the child's exit code.
 */
export const REAPER_SCRIPT = `
"$@" <&0 &
child=$!
for signal in TERM INT HUP QUIT USR1 USR2; do
  trap "kill -s $signal $child 2>/dev/null" "$signal"
done
while :; do
  wait "$child"
  code=$?
  kill -0 "$child" 2>/dev/null || exit "$code"
done
`;
