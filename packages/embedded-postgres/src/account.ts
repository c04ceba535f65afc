import { accessSync, chownSync, constants, mkdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { EmbeddedPostgresError } from './errors.js'

/** The system account that a PostgreSQL server runs under. */
export interface ServerAccount {
  readonly uid: number
  readonly gid: number
}

/**
 * PostgreSQL refuses to run as root. Under root another account takes over (`postgres` where it exists, else `nobody`);
 * everyone else runs it as themselves: undefined.
 * @throws {EmbeddedPostgresError} under root when there is neither
 */
export function serverAccount(passwd: string = '/etc/passwd'): ServerAccount | undefined {
  if (process.getuid?.() !== 0) return undefined
  const lines = readFileSync(passwd, 'utf8').split('\n')
  for (const name of ['postgres', 'nobody']) {
    const fields = lines.find((line) => line.startsWith(`${name}:`))?.split(':')
    const uid = Number(fields?.[2])
    const gid = Number(fields?.[3])
    if (Number.isInteger(uid) && Number.isInteger(gid) && uid > 0) return { uid, gid }
  }
  throw new EmbeddedPostgresError('running as root, and neither a `postgres` nor a `nobody` account exists that could run PostgreSQL: start as another user')
}

/** Whether an account that owns nothing on the way can get to `path`: every directory above must let others pass. */
export function reachable(path: string): boolean {
  for (let directory = dirname(resolve(path)); ; directory = dirname(directory)) {
    // One that isn't there yet is made with mode 0755, or by the server's account itself.
    const mode = statSync(directory, { throwIfNoEntry: false })?.mode ?? 0o001
    if ((mode & 0o001) === 0) return false
    if (directory === dirname(directory)) return true
  }
}

/** Makes a directory that the server's account owns and alone may enter. */
export function makeServerDirectory(path: string, account: ServerAccount | undefined): void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  if (account !== undefined) chownSync(path, account.uid, account.gid)
  else accessSync(path, constants.W_OK)
}
