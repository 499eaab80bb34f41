"""The pool: places sessions on workers, and lets each worker schedule, step and deliver."""
