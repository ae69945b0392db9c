/** How many batches may be under way before what comes next waits for one of them. */
const LANES = 2

export interface BatchPlan<Job, Answer> {
  /** The longest batch. A longer one would keep its connection for too long. */
  readonly most: number
  /** Whether a job may go along with those before it. Default: always. */
  joins?(batch: readonly Job[], job: Job): boolean
  /** Answers one for each, in their order. Has to settle, since others wait for it. */
  send(jobs: readonly Job[]): PromiseLike<readonly (Answer | PromiseLike<Answer>)[]>
}

interface Waiting<Job, Answer> {
  readonly job: Job
  readonly resolve: (answer: Answer | PromiseLike<Answer>) => void
  readonly reject: (error: unknown) => void
}

/**
 * What is asked for in the same turn of the event loop, or while `LANES` batches are under way, goes out as one: of what
 * something small costs, the most is the trip. Nothing joins a batch that was already sent.
 */
export function createBatches<Job, Answer>(
  plan: BatchPlan<Job, Answer>,
): (job: Job) => Promise<Answer> {
  const { most, joins = () => true } = plan
  let waiting: Waiting<Job, Answer>[] = []
  let isScheduled = false
  let underWay = 0

  function schedule(): void {
    if (isScheduled || underWay >= LANES || waiting.length === 0) return
    isScheduled = true
    // After the sockets that have something to read were read: their requests come along.
    setImmediate(send)
  }

  function send(): void {
    isScheduled = false
    const batch = take()
    const jobs = batch.map(({ job }) => job)
    underWay += 1
    const done = (): void => {
      underWay -= 1
      schedule()
    }
    plan.send(jobs).then(
      (answers) => {
        for (const [index, { resolve }] of batch.entries()) resolve(answers[index] as Answer)
        done()
      },
      (error: unknown) => {
        for (const { reject } of batch) reject(error)
        done()
      },
    )
    schedule()
  }

  function take(): Waiting<Job, Answer>[] {
    const batch: Waiting<Job, Answer>[] = []
    const jobs: Job[] = []
    const left: Waiting<Job, Answer>[] = []
    for (const one of waiting) {
      if (jobs.length < most && (jobs.length === 0 || joins(jobs, one.job))) {
        batch.push(one)
        jobs.push(one.job)
      } else left.push(one)
    }
    waiting = left
    return batch
  }

  return function ask(job) {
    return new Promise((resolve, reject) => {
      waiting.push({ job, resolve, reject })
      schedule()
    })
  }
}
