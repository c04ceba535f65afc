import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { Inject, Injectable } from '@nestjs/common'
import { z } from 'zod'
import { AccessService } from '../access/access.service.js'
import { ENVIRONMENT, readConfig, type Environment } from '../config/environment.js'
import { ApplyService } from '../documents/apply.service.js'

const schema = z.object({ SALLYPORT_BOOTSTRAP_ADMIN: z.string().optional(), SALLYPORT_BOOTSTRAP_TOKEN_FILE: z.string().optional() })

/** The first administrator: somebody must be able to apply the first documents. */
@Injectable()
export class BootstrapService {
  constructor(
    @Inject(ENVIRONMENT) private readonly environment: Environment,
    private readonly apply: ApplyService,
    private readonly access: AccessService,
  ) {}

  /** Makes the User document if there is none, and a token in a file that only this user can read, if there is no such file. */
  async run(): Promise<void> {
    const { SALLYPORT_BOOTSTRAP_ADMIN: admin, SALLYPORT_BOOTSTRAP_TOKEN_FILE: file } = readConfig(schema, this.environment)
    if (admin === undefined) return
    await this.apply.ensureAdmin(admin)
    if (file === undefined || existsSync(file)) return
    const { token } = await this.access.createToken({ user: admin, name: 'bootstrap' }, 'bootstrap')
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    writeFileSync(file, token + '\n', { mode: 0o600, flag: 'wx' })
  }
}
