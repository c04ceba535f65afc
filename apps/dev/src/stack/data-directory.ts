import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { reachable, serverAccount } from '@sallyport/embedded-postgres'

/**
 * `.sallyport` in the checkout. As root the database servers run under another account, who can't get into a checkout
 * below root's home: then the data lies in /var/lib and `.sallyport` is a link to it.
 */
export function persistentDirectory(root: string, say: (text: string) => void): string {
  const usual = join(root, '.sallyport')
  if (serverAccount() === undefined || reachable(join(usual, 'data'))) return usual
  if (lstatSync(usual, { throwIfNoEntry: false }) === undefined) {
    // Only root can write in /var/lib: nobody else can have put a directory of this name there.
    const elsewhere = join('/var/lib', `sallyport-${createHash('sha256').update(root).digest('hex').slice(0, 12)}`)
    mkdirSync(elsewhere, { recursive: true, mode: 0o711 })
    symlinkSync(elsewhere, usual)
    say(`data lies in ${elsewhere}, because the database's account may not enter ${root}`)
  }
  return realpathSync(usual)
}
