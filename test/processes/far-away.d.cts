import type { SessionStore } from 'staykept'

export function farAway(store: SessionStore, delay: number): SessionStore
