import { chmodSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serverAccount } from './account.js'
import { EmbeddedServer } from './server.js'

/** A fresh temporary directory that the server's account can pass through. Its owner removes it. */
export function passableDirectory(prefix: string): string {
  const directory = mkdtempSync(join(realpathSync(tmpdir()), prefix))
  // mkdtemp makes 0700.
  if (serverAccount() !== undefined) chmodSync(directory, 0o711)
  return directory
}

/** A server whose data goes when it stops: for tests. */
export class TemporaryServer {
  private constructor(
    readonly server: EmbeddedServer,
    private readonly directory: string,
  ) {}

  /** @throws {EmbeddedPostgresError} */
  static async start(user = 'postgres'): Promise<TemporaryServer> {
    const directory = passableDirectory('sallyport-postgres-')
    try {
      const server = await EmbeddedServer.start({
        data: join(directory, 'data'),
        passwordFile: join(directory, 'password'),
        spareBinaries: join(directory, 'binaries'),
        user,
        port: 0,
        maxConnections: 100,
        temporary: true,
      })
      return new TemporaryServer(server, directory)
    } catch (error) {
      rmSync(directory, { recursive: true, force: true })
      throw error
    }
  }

  async stop(): Promise<void> {
    await this.server.stop()
    rmSync(this.directory, { recursive: true, force: true })
  }
}
