/** Whether a WebGPU adapter computes on the processor, by its own words. Plain JavaScript because the launcher asks before anything is built. */

export const isSoftwareAdapter = (info) =>
  info.isFallbackAdapter === true ||
  /swiftshader|llvmpipe|lavapipe|softpipe|basic render|software/i.test(
    `${info.vendor} ${info.architecture} ${info.device} ${info.description}`,
  );
