import { isFree } from '@sallyport/embedded-postgres'

/** Rejects naming the port when something already listens there. */
export async function requireFree(port: number, purpose: string): Promise<void> {
  if (await isFree(port)) return
  throw new Error(`port ${port} (${purpose}) is taken. Is another \`npm start\` running? All ports can be moved: npm start -- --port-offset 1000`)
}
