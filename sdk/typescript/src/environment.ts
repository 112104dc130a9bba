// What a page knows of its surroundings: that it is looked at again, and that the network comes or goes.

/** Calls `wake` whenever an old connection should be doubted or a new one tried at once. Returns what ends it. */
export function watchEnvironment(wake: () => void): () => void {
  const page = globalThis as Partial<Pick<Window, "addEventListener" | "document">>;
  const stop = new AbortController();
  for (const name of ["online", "offline"]) page.addEventListener?.(name, wake, stop);
  const shown = (): unknown => page.document!.visibilityState === "visible" && wake();
  page.document?.addEventListener("visibilitychange", shown, stop);
  return () => stop.abort();
}
