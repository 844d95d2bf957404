/**
 * Lets whatever else waits for this thread have its turn: messages, timers, signals. An `await` alone does not, where what is awaited is there at once,
 * as with onnxruntime's WebAssembly, which computes on the thread that asks.
 */
export const othersTurn = (): Promise<void> =>
  new Promise((resolve) => {
    if (globalThis.setImmediate !== undefined) {
      globalThis.setImmediate(resolve);
      return;
    }
    // Unlike a timer's, its turn is not put off by milliseconds.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
