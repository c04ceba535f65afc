import { randomUUID } from 'node:crypto'
import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { IdentityError } from './errors.js'

/** Replaces a file in one step, durable when it resolves: a crash leaves the old content or the new, never a part. */
export async function writeAtomically(directory: string, name: string, content: string | Uint8Array): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await chmod(directory, 0o700)
  const temporary = join(directory, `.${name}.${randomUUID()}`)
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, join(directory, name))
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  const folder = await open(directory, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Undefined when there is no such file. */
export async function readIfThere(directory: string, name: string): Promise<string | undefined> {
  try {
    return await readFile(join(directory, name), 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new IdentityError('IDENTITY_UNREADABLE', `can't read ${join(directory, name)}`, { cause: error })
  }
}

/** @throws {IdentityError} KEY_PERMISSIONS when others than the owner may read it */
export async function refuseSharedKey(directory: string, name: string): Promise<void> {
  const { mode } = await stat(join(directory, name))
  if ((mode & 0o077) === 0) return
  throw new IdentityError('KEY_PERMISSIONS', `${join(directory, name)} can be read by other accounts: chmod 600 it`)
}
