// Adam (nn/optim.py): w, m and v in place. A thread is one number of one parameter.

// The parameters of a launch, as a kernel's argument: at most 4 KB for all of them. `end` counts the
// threads up to a parameter and with it; an optimizer's rate and scale follow from its own t.
struct Parameters {
  float *w[PARAMETERS], *m[PARAMETERS], *v[PARAMETERS];
  const float* grad[PARAMETERS];
  int end[PARAMETERS];
  float rate[PARAMETERS], scale[PARAMETERS];
};
static_assert(sizeof(Parameters) <= 4096 - 8 * 4);

extern "C" __global__ void adam_step(
    int threads, const Parameters all, int count, float old1, float new1, float old2, float new2,
    float decay, float eps) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= threads) return;
  int k = 0, last = count - 1;  // the first parameter that ends behind this thread
  while (k < last) {
    const int middle = (k + last) / 2;
    if (at < all.end[middle]) last = middle;
    else k = middle + 1;
  }
  const int i = k ? at - all.end[k - 1] : at;

  const float w = all.w[k][i], grad = all.grad[k][i] + decay * w;
  const float m = old1 * all.m[k][i] + new1 * grad;
  const float v = old2 * all.v[k][i] + new2 * (grad * grad);
  all.m[k][i] = m;
  all.v[k][i] = v;
  all.w[k][i] = w - all.rate[k] * m / (sqrtf(v) * all.scale[k] + eps);
}
