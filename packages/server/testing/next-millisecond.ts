/** What is made then is newer than what is there, also where the clock decides which is. */
export async function nextMillisecond(): Promise<void> {
  for (const now = Date.now(); Date.now() === now;) await new Promise((resolve) => setImmediate(resolve));
}
