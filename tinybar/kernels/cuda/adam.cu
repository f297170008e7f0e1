// Adam (nn/optim.py), p, m and v in place. A thread is one parameter.

extern "C" __global__ void adam_update(
    int threads, float* __restrict__ p, const float* __restrict__ g, float* __restrict__ m,
    float* __restrict__ v, float old1, float new1, float old2, float new2, float decay, float rate,
    float scale, float eps) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  const float grad = g[at] + decay * p[at];
  m[at] = old1 * m[at] + new1 * grad;
  v[at] = old2 * v[at] + new2 * (grad * grad);
  p[at] -= rate * m[at] / (sqrtf(v[at]) * scale + eps);
}
