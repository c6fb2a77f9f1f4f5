# Steps of tests/run: each is run, timed and counted; at the end a table says what took how long. To be read by that script
# with `.`.
#
#   step NAME COMMAND…        runs a command as one check
#   tests_in NAME BINARY …    runs a program of tests, counts each of them, and keeps how long each took
#   counted NAME COMMAND…     the same of a command that runs such programs
#   told                      the table, what failed, and the line that counts; status 0 if nothing did

passed=0
failed=0
broken=()
late=()
# The directory for all that is temporary, and in it that for logs, once `ready` has made them.
place=
logs=
ended() {
  [ -n "$place" ] || return
  rm -rf "$logs"
  if [ "$failed" -eq 0 ]; then
    rm -rf "$place"
  elif ! rmdir "$place" 2>/dev/null; then
    echo "What failed left its files in $place, until the next run" >&2
  fi
}
trap ended EXIT

# Why a step of tests/run may take longer than this many seconds. Those of --long take what they are given.
long_s=240
declare -A reasons=(
  [build]="everything that is run below is compiled here, once: 310 crates, and the product twice (with its unit tests, and without)"
)

step() {
  local name=$1 start=$SECONDS status log said told
  shift
  log=$logs/${name//[^A-Za-z0-9]/-}
  echo "== $name: $*"
  exec {said}> >(tee "$log")
  told=$!
  "$@" >&"$said" 2>&1
  status=$?
  exec {said}>&-
  settled "$told"
  took "$name" $((SECONDS - start))
  if [ "$status" -eq 0 ]; then
    passed=$((passed + 1))
    echo "== $name: good ($((SECONDS - start)) s)"
  else
    failed=$((failed + 1))
    broken+=("$name")
    echo "== $name: FAILED ($((SECONDS - start)) s)"
    { echo "-- the last lines of: $name"; tail -n 40 "$log"; } >>"$logs/failures"
    return 1
  fi
}

# Lets this `tee` come to its end; two seconds, since a process that is left behind would hold it open.
settled() {
  local tries
  for ((tries = 0; tries < 20; tries++)); do
    kill -0 "$1" 2>/dev/null || return 0
    sleep 0.1
  done
}

took() {
  printf '%s\t%s\n' "$2" "$1" >>"$logs/took"
}

# libtest tells how long a test took only where it is asked by this variable, which the compiler would hear, too: so what is
# built already is run by its path.
tests_in() {
  local name=$1 binary=$2
  shift 2
  counted "$name" env RUSTC_BOOTSTRAP=1 "$binary" -Zunstable-options --report-time "$@"
}

counted() {
  local name=$1 start=$SECONDS status counts log each what
  shift
  log=$logs/${name//[^A-Za-z0-9]/-}
  echo "== $name: $*"
  "$@" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  counts=$(awk '/^test result: /{ for (i = 2; i <= NF; i++) { if ($i == "passed;") p += $(i-1); if ($i == "failed;") f += $(i-1) } } END { print p + 0, f + 0 }' "$log")
  passed=$((passed + ${counts% *}))
  failed=$((failed + ${counts#* }))
  while read -r each; do
    if what=$(came_late "$log" "$each") && alone "$each" "$@"; then
      passed=$((passed + 1))
      failed=$((failed - 1))
      late+=("$each: $what")
    else
      broken+=("$each")
    fi
  done < <(sed -n 's/^test \(.*\) \.\.\. FAILED.*$/\1/p' "$log")
  if [ "$status" -ne 0 ] && [ "${counts#* }" -eq 0 ]; then
    failed=$((failed + 1))
    broken+=("$name (status $status)")
  fi
  if [ "$status" -ne 0 ]; then
    # What each failed test said, as it was printed.
    { echo "-- of $name"; grep -A 30 '^---- .* stdout ----$' "$log" || tail -n 40 "$log"; } | head -n 200 >>"$logs/failures"
  fi
  sed -nE 's/^test (.*) \.\.\. .*<([0-9.]+)s>$/\2\t\1/p' "$log" >>"$logs/each"
  took "$name" $((SECONDS - start))
  echo "== $name: ${counts% *} passed, ${counts#* } failed ($((SECONDS - start)) s)"
}

# Whether a test complains of nothing but that something did not come in time. That may be the fault of the tests beside it,
# on a busy computer. A wrong value never is. Says what.
came_late() {
  awk -v head="---- $2 stdout ----" '
    $0 == head { inside = 1; next }
    /^---- .* stdout ----$/ { inside = 0 }
    inside && /^waited [0-9.]+s in vain for: / { late = 1; print; exit }
    END { exit !late }' "$1"
}

# Runs one test once more, by itself, at most two of them: more is no accident.
alone() {
  local name=$1
  shift
  [ "${#late[@]}" -lt 2 ] || return 1
  echo "== once more, by itself: $name"
  "$@" --exact "$name" | tee "$logs/alone"
  [ "${PIPESTATUS[0]}" -eq 0 ] && grep -q '^test result: ok. 1 passed' "$logs/alone"
}

told() {
  local seconds name slowest=20
  echo
  echo "== what took how long, in seconds"
  while IFS=$'\t' read -r seconds name; do
    printf '%6d  %s' "$seconds" "$name"
    if [ "$tier" = run ] && [ "$seconds" -gt "$long_s" ]; then printf ': %s' "${reasons[$name]-longer than four minutes, and nobody has said why}"; fi
    echo
  done < <(sort -rn "$logs/took")
  printf '%6d  all of it\n' "$SECONDS"
  if [ -s "$logs/each" ]; then
    echo "== the slowest tests, in seconds"
    sort -rn "$logs/each" | head -n "$slowest" | awk -F '\t' '{ printf "%6.0f  %s\n", $1, $2 }'
  fi
  # Once more at the end, where whoever sees only the end of all this looks.
  [ ! -e "$logs/failures" ] || cat "$logs/failures"
  for name in ${broken[@]+"${broken[@]}"}; do
    echo "FAILED: $name"
  done
  for name in ${late[@]+"${late[@]}"}; do
    echo "LATE: $name (beside the other tests; good by itself: to be looked into)"
  done
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
