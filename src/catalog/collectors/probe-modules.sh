# Which of the modules are built for the running kernel; what is loaded and blocked is read with the files.
probe_modules() {
m=/lib/modules/$K_RELEASE
if [ -r "$m/modules.dep" ]; then
p=$(printf '|%s' "$@" | sed 's/[-_]/[-_]/g')
t grep -ohE "/(${p#|})\\.ko" "$m/modules.dep" "$m/modules.builtin"
printf '=known\n'
fi
return 0
}
