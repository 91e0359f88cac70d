# Of /proc/cpuinfo only what is used: with 200 processors the whole file is half a megabyte.
if [ "$K" = Darwin ]; then
t sysctl machdep.cpu.brand_string machdep.cpu.vendor hw.packages hw.physicalcpu hw.logicalcpu hw.memsize hw.model vm.swapusage
else
t grep -oE '^(processor|vendor_id|model name|physical id|core id|CPU implementer|CPU part|Model|Hardware|cpu model|cpu)[^a-zA-Z:]*:.*| hypervisor ' /proc/cpuinfo
fi
