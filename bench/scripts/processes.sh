# processes.sh N: some 6 processes a round, pipelines among them, as configure scripts and init scripts make them.
# shellcheck shell=dash disable=SC2003
# (expr is here because it is a process.)
i=0
while [ $i -lt "$1" ]; do
    i=$((i + 1))
    name=$(basename "/usr/lib/lib$i.so" .so)
    sum=$(expr $i \* 3 + 1)
    true
    echo "$name $sum" | tr '[:lower:]' '[:upper:]'
    echo "a=$i" | sed 's/a=\(.*\)/\1 b/' | cut -d ' ' -f 1
done | sort | uniq -c | wc -l
