import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Inject, Injectable } from '@nestjs/common'
import { dataDirectory } from '../config/data-directory.js'
import { ENVIRONMENT, type Environment } from '../config/environment.js'

/**
 * The newest checkpoint that this control plane signed, in a file beside the database: a database that was set back, with
 * its checkpoints, is found out also after a restart.
 */
@Injectable()
export class CheckpointFile {
  #path: string | undefined

  constructor(@Inject(ENVIRONMENT) private readonly environment: Environment) {}

  get path(): string {
    this.#path ??= join(dataDirectory(this.environment), 'audit-checkpoint')
    return this.#path
  }

  /** The signed note; undefined when there is none yet. */
  read(): string | undefined {
    try {
      return readFileSync(this.path, 'utf8')
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
      throw error
    }
  }

  /** Whole or not at all. */
  write(note: string): void {
    writeFileSync(`${this.path}.new`, note, { mode: 0o600 })
    renameSync(`${this.path}.new`, this.path)
  }
}
