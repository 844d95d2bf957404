/** How the tests and the programs of tools/ start a browser: on the machine's GPU where there is one, else on the processor. */
import { findBrowser } from './machine.mjs';

/** Without these no adapter is found on Linux. */
const webGpuArguments = ['--enable-unsafe-webgpu', '--ignore-gpu-blocklist', '--enable-features=Vulkan'];

const chromeArguments = [
  '--no-sandbox',
  // SwiftShader turns this way of clearing workgroup memory into one store an element: seconds a pipeline.
  '--disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-background-timer-throttling',
  '--disable-renderer-backgrounding',
  '--no-first-run',
];

const firefoxPreferences = {
  'dom.webgpu.workers.enabled': true,
  'gfx.webgpu.ignore-blocklist': true,
  'app.update.enabled': false,
  'toolkit.telemetry.reportingpolicy.firstRun': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'dom.max_script_run_time': 0,
};

/**
 * What `launch` of puppeteer-core takes.
 * @param hasWebGpu whether pages and workers find an adapter at all
 * Throws when the machine has no such browser, naming what to install.
 */
export function launchOptions(kind, hasWebGpu) {
  const executablePath = findBrowser(kind);
  if (!executablePath) {
    const want = kind === 'chrome' ? 'Chromium, Chrome or Edge' : 'Firefox';
    throw new Error(`No ${want} was found: install it, or name it in ${kind.toUpperCase()}_PATH.`);
  }
  const common = { executablePath, headless: true, timeout: 120_000, protocolTimeout: 600_000 };
  return kind === 'chrome'
    ? { ...common, args: [...chromeArguments, ...(hasWebGpu ? webGpuArguments : [])] }
    : {
        ...common,
        browser: 'firefox',
        extraPrefsFirefox: { ...firefoxPreferences, 'dom.webgpu.enabled': hasWebGpu },
      };
}
