import { chownSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

export interface ServerAccount {
  readonly uid: number
  readonly gid: number
}

/** PostgreSQL refuses to run as root: then `postgres`, else `nobody`, runs it. Undefined when this process isn't root. */
export function serverAccount(): ServerAccount | undefined {
  if (process.getuid?.() !== 0) return undefined
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
  for (const name of ['postgres', 'nobody']) {
    const fields = lines.find((line) => line.startsWith(`${name}:`))?.split(':')
    const uid = Number(fields?.[2])
    const gid = Number(fields?.[3])
    if (Number.isInteger(uid) && Number.isInteger(gid) && uid > 0) return { uid, gid }
  }
  throw new Error('running as root, and neither a `postgres` nor a `nobody` account could run the embedded database: start as another user, or set DATABASE_URL')
}

/** Whether an account that owns nothing on the way can get to `path`. */
export function reachable(path: string): boolean {
  for (let directory = dirname(resolve(path)); ; directory = dirname(directory)) {
    if ((statSync(directory, { throwIfNoEntry: false })?.mode ?? 0o001) % 2 === 0) return false
    if (directory === dirname(directory)) return true
  }
}

/** Makes a directory that the server's account alone may enter. */
export function makeServerDirectory(path: string, account: ServerAccount | undefined): void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  if (account) chownSync(path, account.uid, account.gid)
}
