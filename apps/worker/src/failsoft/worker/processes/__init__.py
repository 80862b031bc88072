"""What operating-system processes need: ends, forks, deaths, loops; imports `exit_codes`."""
