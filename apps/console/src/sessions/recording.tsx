import { Button, Card, Group, Stack, Text } from '@mantine/core'
import { ok } from '@sallyport/api-client'
import { IconPlayerPlay } from '@tabler/icons-react'
import { useMutation } from '@tanstack/react-query'
import { useEffect, useRef, type ReactNode } from 'react'
import 'asciinema-player/dist/bundle/asciinema-player.css'
import { api } from '../api.js'
import { Failure } from '../shell/message.js'

/** What the session's terminals showed, played. Fetched when it is asked for: that somebody looks is on record. */
export function Recording({ id }: { readonly id: string }): ReactNode {
  const cast = useMutation({ mutationFn: () => ok(api.GET('/v1/sessions/{id}/recording', { params: { path: { id } }, parseAs: 'text' })) })
  return (
    <Card withBorder component="section" aria-label="Recording">
      <Stack gap="md">
        <Group justify="space-between">
          <Text fw={600}>Recording</Text>
          {cast.data === undefined ? <Button variant="default" leftSection={<IconPlayerPlay size={16} aria-hidden />} loading={cast.isPending} onClick={() => cast.mutate()}>Play</Button> : undefined}
        </Group>
        {cast.error ? <Failure error={cast.error} /> : undefined}
        {cast.data === undefined ? undefined : <Player cast={cast.data} />}
      </Stack>
    </Card>
  )
}

function Player({ cast }: { readonly cast: string }): ReactNode {
  const place = useRef<HTMLDivElement>(null)
  useEffect(() => {
    let isGone = false
    let dispose: (() => void) | undefined
    const mount = async (): Promise<void> => {
      // A terminal in WebAssembly: for those who play something.
      const { create } = await import('asciinema-player')
      if (isGone || place.current === null) return
      const player = create({ data: cast }, place.current, { autoPlay: true, preload: true, idleTimeLimit: 2, fit: 'width', controls: true, terminalFontSize: '14px' })
      dispose = () => player.dispose()
    }
    void mount()
    return () => {
      isGone = true
      dispose?.()
    }
  }, [cast])
  return <div ref={place} role="group" aria-label="Terminal" style={{ maxWidth: '56rem' }} />
}
