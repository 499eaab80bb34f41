"""The commands of the command line, one a module. They sit on top of everything else."""
