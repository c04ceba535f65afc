import { Module } from '@nestjs/common'
import { AccessModule } from '../access/access.module.js'
import { CredentialsModule } from '../credentials/credentials.module.js'
import { IdentityModule } from '../identity/identity.module.js'
import { KeysModule } from '../keys/keys.module.js'
import { NodesModule } from '../nodes/nodes.module.js'
import { TargetsModule } from '../targets/targets.module.js'
import { SshController } from './ssh.controller.js'
import { SshService } from './ssh.service.js'

/** Users' SSH certificates and the gateways' host keys. */
@Module({ imports: [AccessModule, CredentialsModule, IdentityModule, KeysModule, NodesModule, TargetsModule], controllers: [SshController], providers: [SshService] })
export class SshModule {}
