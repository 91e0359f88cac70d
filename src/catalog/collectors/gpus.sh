# Adapters of NVIDIA, by the program of their driver.
[ -e /dev/nvidiactl ] && command -v nvidia-smi >/dev/null && t nvidia-smi --query-gpu=index,utilization.gpu,memory.used,memory.total,temperature.gpu,name --format=csv,noheader,nounits
