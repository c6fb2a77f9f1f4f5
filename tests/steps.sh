# Steps of tests/run: each is run, timed and counted; at the end a table says what took how long. To be read by that script
# with `.`.
#
#   step NAME COMMAND…        runs a command as one check
#   tests_in NAME BINARY …    runs a program of tests, counts each of them, and keeps how long each took
#   counted NAME COMMAND…     the same of a command that runs such programs
#   beside NAME FUNCTION      runs a function of steps beside those that follow
#   joined [NAME]             waits for all of these, or for this one, and prints what they said
#   told                      the table, what failed, and the line that counts; status 0 if nothing did

passed=0
failed=0
broken=()
late=()
# Names and process groups of what runs beside.
lanes=()
# The directory for all that is temporary, and in it that for logs, once `ready` has made them.
place=
logs=
ended() {
  local lane
  for lane in ${lanes[@]+"${lanes[@]}"}; do kill -- "-${lane##* }" 2>/dev/null; done
  [ -n "$place" ] || return
  rm -rf "$logs"
  if [ "$failed" -eq 0 ]; then
    rm -rf "$place"
  elif ! rmdir "$place" 2>/dev/null; then
    echo "What failed left its files in $place, until the next run" >&2
  fi
}
trap ended EXIT

# The most that a step of tests/run should take of the processors, in seconds of one of them; of all of it, the time by the clock on two
# quiet cores. What runs beside a step makes it longer, but not dearer. A step that takes half as much again is named at the end:
# mend it, or write here why it may.
declare -A aims=(
  # The crates that the proofs run are optimised.
  [build]=1000
  ["official clients and Node-RED"]=40
  ["the tool that packs, and fresh Debians"]=180
  ["unit tests of qris_proof"]=60
  ["unit tests of qris_screen"]=20
  ["books in PostgreSQL"]=20
  ["tests of processes"]=500
  ["a flood"]=15
  ["60 sales while everything is killed"]=35
  ["demo script"]=5
  ["packages are made"]=40
  [packages]=80
  [repository]=35
  # A processor is emulated.
  ["a machine of its own"]=550
  ["screen on real framebuffers"]=90
  [simulation]=210
  ["every kind of operation fails once"]=180
  ["search, one in every play"]=100
  ["search, some with two"]=70
  [warnings]=200
  ["each program alone"]=130
  ["all of it"]=1500
)

step() {
  local name=$1 start=$SECONDS status log said told
  shift
  log=$logs/${name//[^A-Za-z0-9]/-}
  echo "== $name: $*"
  exec {said}> >(tee "$log")
  told=$!
  # In a shell of its own: what ends beside it meanwhile does not count.
  (time "$@" >&"$said" 2>&1) 2>"$log-time"
  status=$?
  exec {said}>&-
  settled "$told"
  took "$name" $((SECONDS - start)) "$log-time"
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

# Bash's `time` tells this: the processors' time of a command, and of all that it began.
TIMEFORMAT='%U %S'

# took NAME SECONDS [FILE]: keeps the time by the clock, and that of the processors, which stands in the file.
took() {
  awk -v name="$1" -v seconds="$2" 'END { printf "%d\t%d\t%s\n", seconds, $1 + $2, name }' "${3:-/dev/null}" >>"$logs/took"
}

# A function of its own process group, whose results come by files. It has no terminal, and a key pressed there does not reach it.
beside() {
  local name=$1
  shift
  echo "== beside what follows: $name"
  set -m
  (
    set +m
    trap - EXIT
    passed=0 failed=0 broken=() late=() lanes=()
    "$@"
    printf 'failed\t%s\n' ${broken[@]+"${broken[@]}"} >"$logs/results-$name"
    printf 'late\t%s\n' ${late[@]+"${late[@]}"} >>"$logs/results-$name"
    printf 'counts\t%s %s\n' "$passed" "$failed" >>"$logs/results-$name"
  ) >"$logs/said-$name" 2>&1 </dev/null &
  set +m
  lanes+=("$name $!")
}

joined() {
  local lane name kind what left=()
  for lane in ${lanes[@]+"${lanes[@]}"}; do
    name=${lane% *}
    [ "${1-$name}" = "$name" ] || { left+=("$lane"); continue; }
    wait "${lane##* }"
    cat "$logs/said-$name"
    # One that was killed has told nothing.
    [ -e "$logs/results-$name" ] || printf 'failed\t%s broke off\ncounts\t0 1\n' "$name" >"$logs/results-$name"
    while IFS=$'\t' read -r kind what; do
      [ -n "$what" ] || continue
      case "$kind" in
        failed) broken+=("$what") ;;
        late) late+=("$what") ;;
        counts) passed=$((passed + ${what% *})) failed=$((failed + ${what#* })) ;;
      esac
    done <"$logs/results-$name"
  done
  lanes=(${left[@]+"${left[@]}"})
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
  (time "$@" 2>&1 | tee "$log"; exit "${PIPESTATUS[0]}") 2>"$log-time"
  status=$?
  counts=$(awk '/^test result: /{ for (i = 2; i <= NF; i++) { if ($i == "passed;") p += $(i-1); if ($i == "failed;") f += $(i-1) } } END { print p + 0, f + 0 }' "$log")
  passed=$((passed + ${counts% *}))
  failed=$((failed + ${counts#* }))
  while read -r each; do
    if what=$(came_late "$log" "$each") && alone "$each" "$@"; then
      passed=$((passed + 1))
      failed=$((failed - 1))
      late+=("$each: $what")
    else
      broken+=("$each: $(complaint "$log" "$each")")
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
  took "$name" $((SECONDS - start)) "$log-time"
  echo "== $name: ${counts% *} passed, ${counts#* } failed ($((SECONDS - start)) s)"
}

# What a test said, in this log.
output_of() {
  awk -v head="---- $2 stdout ----" '
    $0 == head { inside = 1; next }
    /^---- .* stdout ----$/ { inside = 0 }
    inside' "$1"
}

# Whether a test complains of nothing but that something did not come in time. That may be the fault of the tests beside it,
# on a busy computer. A wrong value never is. Says what.
came_late() {
  grep -m 1 -E '^waited [0-9.]+s in vain for: ' < <(output_of "$1" "$2")
}

# The first two lines of what a test complained of, for whoever sees only the end of all this.
complaint() {
  output_of "$1" "$2" | sed -n '/ panicked at /{n;p;n;p;q}' | cut -c 1-300 | paste -s -d ' '
}

# Runs one test once more, by itself, at most four of them: more is no accident.
alone() {
  local name=$1
  shift
  [ "${#late[@]}" -lt 4 ] || return 1
  echo "== once more, by itself: $name"
  "$@" --exact "$name" | tee "$logs/alone"
  [ "${PIPESTATUS[0]}" -eq 0 ] && grep -q '^test result: ok. 1 passed' "$logs/alone"
}

told() {
  local seconds cost name aim slow=() slowest=20
  echo
  echo "== what took how long, how much of the processors, and should, in seconds"
  while IFS=$'\t' read -r seconds cost name; do
    aim=
    [ "$tier" != run ] || aim=${aims[$name]-}
    printf '%6d %6s %6s  %s\n' "$seconds" "$cost" "$aim" "$name"
    if [ -n "$aim" ] && [ "$cost" -gt $((aim * 3 / 2)) ]; then slow+=("$name: $cost s, and its aim is $aim s"); fi
  done < <({ cat "$logs/took"; printf '%s\t%s\t%s\n' "$SECONDS" "$SECONDS" "all of it"; } | sort -rn)
  if [ -s "$logs/each" ]; then
    echo "== the slowest tests, in seconds"
    sort -rn "$logs/each" | head -n "$slowest" | awk -F '\t' '{ printf "%6.0f  %s\n", $1, $2 }'
  fi
  # Once more at the end, where whoever sees only the end of all this looks.
  [ ! -e "$logs/failures" ] || cat "$logs/failures"
  for name in ${slow[@]+"${slow[@]}"}; do
    echo "SLOW: $name"
  done
  for name in ${late[@]+"${late[@]}"}; do
    echo "LATE: $name (beside the other tests; good by itself: to be looked into)"
  done
  for name in ${broken[@]+"${broken[@]}"}; do
    echo "FAILED: $name"
  done
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
