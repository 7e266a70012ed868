"""The programs, one file for each sub-command of `ganspec`; what they do stands in the rooms beside this one."""
