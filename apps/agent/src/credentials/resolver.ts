import { execFile } from 'node:child_process'
import fs from 'node:fs/promises'
import { Secret, type CredentialResolver } from '@sallyport/kit'

/** A credential can't be had. The message names the reference and why, never a value. */
export class CredentialError extends Error {
  override readonly name = 'CredentialError'
}

const execMilliseconds = 10_000
const maxBytes = 64 * 1024

/**
 * Resolves `env:`, `file:` and `exec:` references when an engine dials. References come with the grant, so that what
 * they may name is fixed here, on the agent: whoever changes a Target document can't read other files of this host or
 * run programs on it.
 */
export class ReferenceResolver implements CredentialResolver {
  readonly #allowed: readonly RegExp[]

  /** @param allowed patterns such as `env:ORDERS_*`, `file:/etc/sallyport/credentials/*`, `exec:/usr/local/bin/get-secret *` */
  constructor(allowed: readonly string[]) {
    this.#allowed = allowed.map(toPattern)
  }

  async resolve(reference: string): Promise<Secret<string>> {
    const colon = reference.indexOf(':')
    const scheme = reference.slice(0, colon)
    const rest = reference.slice(colon + 1)
    const shown = JSON.stringify(reference.slice(0, 200))
    if (rest.includes('..') || !this.#allowed.some((pattern) => pattern.test(reference))) {
      throw new CredentialError(`this agent does not allow the credential reference ${shown}: add it to SALLYPORT_AGENT_CREDENTIALS`)
    }
    switch (scheme) {
      case 'env': {
        const value = process.env[rest]
        if (value === undefined || value === '') throw new CredentialError(`the credential reference ${shown} is not set on the agent`)
        return new Secret(value)
      }
      case 'file':
        return new Secret(await readFile(rest, shown))
      case 'exec':
        return new Secret(await run(rest, shown))
      default:
        throw new CredentialError(`the credential reference ${shown} is of no known kind: use env:, file: or exec:`)
    }
  }
}

async function readFile(path: string, shown: string): Promise<string> {
  try {
    const text = await fs.readFile(path, 'utf8')
    if (text.length > maxBytes) throw new CredentialError(`the file of ${shown} is too large for a credential`)
    return withoutNewline(text)
  } catch (error) {
    if (error instanceof CredentialError) throw error
    throw new CredentialError(`the credential reference ${shown} can't be read on the agent (${codeOf(error)})`)
  }
}

/** Runs a program without a shell; words are separated by spaces. Its error output isn't shown: it could hold the secret. */
function run(commandLine: string, shown: string): Promise<string> {
  const [program = '', ...words] = commandLine.split(' ').filter((word) => word !== '')
  return new Promise((resolve, reject) => {
    execFile(program, words, { timeout: execMilliseconds, maxBuffer: maxBytes, encoding: 'utf8', shell: false }, (error, stdout) => {
      if (error) reject(new CredentialError(`the program of ${shown} failed on the agent (${codeOf(error)})`))
      else if (stdout === '') reject(new CredentialError(`the program of ${shown} printed nothing`))
      else resolve(withoutNewline(stdout))
    })
  })
}

function withoutNewline(text: string): string {
  return text.replace(/\r?\n$/, '')
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'failed'
}

/** `*` stands for anything but nothing else is special. */
function toPattern(glob: string): RegExp {
  const escaped = glob.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${escaped.join('[^\\n]*')}$`)
}
