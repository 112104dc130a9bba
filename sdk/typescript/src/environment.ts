// What a page knows of its surroundings: that it is looked at again, and that the network comes or goes.

/** Calls `wake` whenever an old connection should be doubted or a new one tried at once. Returns what ends it. */
export function watchEnvironment(wake: () => void): () => void {
  const page = globalThis as Partial<Pick<Window, "addEventListener" | "removeEventListener" | "document">>;
  const onVisible = (): void => {
    if (page.document?.visibilityState === "visible") wake();
  };
  const names = ["online", "offline", "pageshow"] as const;
  for (const name of names) page.addEventListener?.(name, wake);
  page.document?.addEventListener?.("visibilitychange", onVisible);
  return () => {
    for (const name of names) page.removeEventListener?.(name, wake);
    page.document?.removeEventListener?.("visibilitychange", onVisible);
  };
}
