"""Do the runtimes of this machine agree, how fast are they, what is there, what is missing?"""
