// Names and values that an application hands in, checked before they are sent (protocol, section 1).

import { misuse } from "./errors.js";

const kCharacters = "A-Za-z0-9._:@=,;!~+/#-";
const kChannel = new RegExp(`^[${kCharacters}]{1,255}$`);

export function checkChannel(name: unknown): asserts name is string {
  if (typeof name === "string" && kChannel.test(name) && !/^:|^[^:]*:$/.test(name)) return;
  throw misuse(`${JSON.stringify(name)} is no channel name like "room:lobby": up to 255 of ${kCharacters}`);
}

/** The JSON text of a request. Done when the call is made, so that later changes to the value do not matter. */
export function encode(message: object): string {
  try {
    return JSON.stringify(message, (key, value: unknown) => {
      if (typeof value === "function" || typeof value === "symbol") throw Error(`"${key}" is a ${typeof value}`);
      return value;
    });
  } catch (error) {
    throw misuse(`this can't be sent as JSON: ${(error as Error).message}`);
  }
}

export function randomName(): string {
  // randomUUID is there in secure contexts only.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(36)).join("");
}
