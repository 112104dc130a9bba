// Where an outbox keeps its entries: IndexedDB, so that they are there after a reload.

import type { OutboxEntry } from "../outbox_port.js";

/** An entry and the page that works on it. */
export interface StoredEntry extends OutboxEntry {
  owner: string;
  /** Its place among the entries of one page. */
  order: number;
}

export interface OutboxStore {
  /** All entries, in any order. */
  load(): Promise<StoredEntry[]>;
  put(entry: StoredEntry): Promise<void>;
  remove(key: string): Promise<void>;
}

const kTable = "entries";

export function indexedDbStore(name: string): OutboxStore {
  let opened: Promise<IDBDatabase> | undefined;
  const open = (): Promise<IDBDatabase> => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(kTable, { keyPath: "key" });
    return result(request);
  };
  const table = async (mode: IDBTransactionMode): Promise<IDBObjectStore> => {
    opened ??= open();
    // What failed once is tried again.
    opened.catch(() => (opened = undefined));
    return (await opened).transaction(kTable, mode).objectStore(kTable);
  };
  return {
    load: async () => result((await table("readonly")).getAll() as IDBRequest<StoredEntry[]>),
    put: async (entry) => void (await result((await table("readwrite")).put(entry))),
    remove: async (key) => void (await result((await table("readwrite")).delete(key))),
  };
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
