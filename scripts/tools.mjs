import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** Repository root. */
export const root = resolve(import.meta.dirname, '..')

/** The script behind a development tool's command, to be run by this very Node. */
export function tool(name) {
  const directory = join(root, 'node_modules', name)
  const { bin } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
  return join(dirname(join(directory, 'package.json')), typeof bin === 'string' ? bin : bin[name])
}
