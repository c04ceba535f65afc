import { Body, Controller, HttpCode, Post } from '@nestjs/common'
import { ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger'
import { z } from 'zod'
import { CurrentUser, Permission } from '../access/permission.js'
import type { Principal } from '../access/principal.js'
import { ApiBodyOf } from '../openapi/schema.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import { EraseService, type Erased } from './erase.service.js'

const eraseSchema = z.strictObject({
  person: z.string().min(1).max(256).meta({ description: 'A name of the person (user, CI actor, e-mail address), or what stands for it in records.' }),
  reason: z.string().min(3).max(2000),
})

@ApiTags('privacy')
@ApiBearerAuth()
@Controller('v1/privacy')
export class PrivacyController {
  constructor(private readonly persons: EraseService) {}

  @Post('erase')
  @Permission('admin')
  @HttpCode(200)
  @ApiBodyOf(eraseSchema)
  @ApiOperation({
    summary: "Erase a person: the key to what the records call them, and their names in everything else",
    description: 'Cannot be undone. Records, chains, proofs and signatures stay as they are, and show a pseudonym from then on. Refused while documents, a live session or a legal hold keep the person.',
  })
  erase(@Body(new ZodPipe(eraseSchema)) { person, reason }: z.infer<typeof eraseSchema>, @CurrentUser() user: Principal): Promise<Erased> {
    return this.persons.erase(person, reason, user.user)
  }
}
