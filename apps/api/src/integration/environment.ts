import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

const tokenFile = (directory: string): string => join(directory, 'tokens', 'ada')

/** A control plane on free ports, with its embedded database and the admin `ada`, all below this directory. */
export function environmentIn(directory: string): Record<string, string> {
  return {
    SALLYPORT_DATA_DIR: join(directory, 'data'),
    SALLYPORT_HTTP_PORT: '0',
    SALLYPORT_GRPC_PORT: '0',
    SALLYPORT_INSECURE_HTTP: 'true',
    SALLYPORT_BOOTSTRAP_ADMIN: 'ada',
    SALLYPORT_BOOTSTRAP_TOKEN_FILE: tokenFile(directory),
  }
}

/** The token that the first start wrote for `ada`. */
export async function adminTokenIn(directory: string): Promise<string> {
  return (await readFile(tokenFile(directory), 'utf8')).trim()
}
