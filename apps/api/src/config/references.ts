import { readFile } from 'node:fs/promises'
import type { Environment } from './environment.js'

const maxSecretBytes = 64 * 1024

export class SecretReferenceError extends Error {
  override readonly name = 'SecretReferenceError'
}

/**
 * Reads secrets that documents refer to (`env:NAME`, `file:/path`), and only such ones as the operator allows: whoever may apply documents names the references,
 * and could have the master key sent somewhere otherwise.
 */
export class References {
  readonly #allowed: readonly RegExp[]

  /**
   * @param patterns references with `*` for anything, separated by commas
   * @param setting the setting that they come from, for errors
   */
  constructor(
    private readonly environment: Environment,
    patterns: string,
    private readonly setting: string,
  ) {
    this.#allowed = patterns.split(',').flatMap((pattern) => (pattern.trim() === '' ? [] : [toPattern(pattern.trim())]))
  }

  /** @throws {SecretReferenceError} that names the reference, never the value */
  async read(reference: string): Promise<string> {
    const refused = (why: string): SecretReferenceError => new SecretReferenceError(`the reference ${reference.slice(0, 200)} ${why}`)
    if (reference.includes('..') || !this.#allowed.some((pattern) => pattern.test(reference))) throw refused(`is not allowed: add it to ${this.setting}`)
    if (reference.startsWith('env:')) {
      const value = this.environment[reference.slice('env:'.length)]
      if (value === undefined || value === '') throw refused('is not set')
      return value
    }
    let text: string
    try {
      text = await readFile(reference.slice('file:'.length), 'utf8')
    } catch {
      throw refused('can not be read')
    }
    if (text.length > maxSecretBytes) throw refused('is too large')
    return text.replace(/\r?\n$/, '')
  }
}

/** `*` stands for anything; nothing else is special. */
function toPattern(glob: string): RegExp {
  return new RegExp(`^${glob.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')).join('[^\\n]*')}$`)
}
