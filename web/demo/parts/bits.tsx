// What every card uses: the world it is in, and the pieces that the pages share.

import { createContext, useContext, useEffect } from "react";
import type { Channel } from "@tidewire/client";
import type { World } from "../world.js";

export * from "../../shared/pieces.js";

export const WorldContext = createContext<World | null>(null);

export function useWorld(): World {
  return useContext(WorldContext)!;
}

/** Shows the channel's position in the network card. */
export function useFollow(channel: Channel<any> | null): void {
  const world = useWorld();
  useEffect(() => (channel ? world.follow(channel) : undefined), [world, channel]);
}
