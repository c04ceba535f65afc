import { readFileSync } from 'node:fs'

/** This CLI's version, from its package.json. */
export const version = read()

function read(): string {
  const description: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  return typeof description === 'object' && description !== null && 'version' in description ? String(description.version) : 'unknown'
}
