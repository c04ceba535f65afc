import { mkdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Inject, Injectable } from '@nestjs/common'
import { DeliveryError, type ResolveSecret } from '@sallyport/sinks'
import { z } from 'zod'
import { dataDirectory } from '../config/data-directory.js'
import { ENVIRONMENT, readConfig, type Environment } from '../config/environment.js'

const schema = z.object({
  SALLYPORT_SINK_DIRECTORY: z.string().optional(),
  SALLYPORT_SINK_SECRETS: z.string().default('env:SALLYPORT_SINK_*'),
})

const maxSecretBytes = 64 * 1024

/**
 * What of this host sinks may touch. Whoever may apply documents names references and file names; without these bounds
 * a Sink could send the master key as a header, or append to any file.
 */
@Injectable()
export class SinksConfig {
  readonly #directory: string | undefined
  readonly #allowed: readonly RegExp[]

  constructor(@Inject(ENVIRONMENT) private readonly environment: Environment) {
    const settings = readConfig(schema, environment)
    this.#directory = settings.SALLYPORT_SINK_DIRECTORY
    this.#allowed = settings.SALLYPORT_SINK_SECRETS.split(',').flatMap((pattern) => (pattern.trim() === '' ? [] : [toPattern(pattern.trim())]))
  }

  /** Where `file` sinks write; made when it is asked for. */
  directory(): string {
    const path = resolve(this.#directory ?? join(dataDirectory(this.environment), 'sinks'))
    mkdirSync(path, { recursive: true, mode: 0o700 })
    return path
  }

  /** Reads a reference. The error names it, never the value. */
  readonly resolve: ResolveSecret = async (reference) => {
    const refused = (why: string): DeliveryError => new DeliveryError('unavailable', 'SECRET_UNAVAILABLE', `the reference ${reference.slice(0, 200)} ${why}`)
    if (reference.includes('..') || !this.#allowed.some((pattern) => pattern.test(reference))) throw refused('is not allowed: add it to SALLYPORT_SINK_SECRETS')
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
