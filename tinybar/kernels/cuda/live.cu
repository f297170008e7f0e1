// Which channels of a residual signal exist (nn/networks/live.py).

// y: (1), 1 if any z > 0, else 0. z is a few kB: one thread reads it.
extern "C" __global__ void any_open(
    int threads, const float* __restrict__ z, float* __restrict__ y, int c) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  int found = 0;
  for (int k = 0; k < c; ++k) found |= z[k] > 0;
  y[at] = found;
}

// y: (c), live or written by z2, which counts if any of z1, (inner), is open. A thread is a channel.
extern "C" __global__ void hard_after(
    int threads, const float* __restrict__ live, const float* __restrict__ z1,
    const float* __restrict__ z2, float* __restrict__ y, int inner) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  int reached = 0;
  for (int k = 0; k < inner; ++k) reached |= z1[k] > 0;
  y[at] = live[at] + (1 - live[at]) * (reached && z2[at] > 0);
}
